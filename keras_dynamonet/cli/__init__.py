"""The command `dynamonet`: one module per program, thin layers over the library."""
