import subprocess
import sys


def test_importing_the_data_part_loads_no_tensorflow_and_no_benchmark():
    program = (
        "import sys, keras_dynamonet.data as data; "
        "assert data.load_manifest and data.training_dataset; "
        "assert 'tensorflow' not in sys.modules and 'keras' not in sys.modules; "
        "assert 'keras_dynamonet.data.mocap' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=120)
