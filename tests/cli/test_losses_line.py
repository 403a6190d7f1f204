from keras_dynamonet.cli.losses_line import epoch_line, step_line

LOGS = {
    "loss": 1.25,
    "accuracy": 0.5,
    "psnr_gain_observed": 2.5,
    "psnr_gain_unseen": -0.25,
    "val_loss": 2.0,
    "clips_per_second": 80.6,
    "data_wait_share": 0.125,
}


def test_epoch_line_holds_training_validation_and_speed():
    assert epoch_line(LOGS) == (
        "loss 1.250  accuracy 50.0 %  gain +2.50/-0.25 dB  |  validation loss 2.000"
        "  |  81 clips/s, 12 % waiting for data"
    )


def test_epoch_line_of_the_bare_minimum():
    assert epoch_line({"loss": 1.0}) == "loss 1.000"


def test_step_line():
    found = step_line(LOGS)
    assert found == "loss 1.250  accuracy 50.0 %  81 clips/s, 12 % waiting for data"
    assert step_line({"loss": 1.0}) == "loss 1.000"
