"""`python -m spikewright`, also under torchrun: the command line."""

from spikewright.cli.main import main

main()
