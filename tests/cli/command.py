"""The command `dynamonet` inside a test's own process."""

from keras_dynamonet.cli.main import main


def exit_status(*argv) -> int:
    """Runs the command; its exit status, also where argparse ends it."""
    try:
        return main([str(word) for word in argv])
    except SystemExit as stop:
        return stop.code
