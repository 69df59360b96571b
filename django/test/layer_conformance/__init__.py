"""The parts of django.test.channel_layers, one for each section of the contract."""
