"""Components that carry event streams between cores: FIFO, delay, fork, throttle, monitor."""
