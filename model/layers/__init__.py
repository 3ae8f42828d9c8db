"""The layers of spiking networks and of ANNs, as torch modules."""
