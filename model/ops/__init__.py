"""Operations with gradients: scans over time, surrogates, quantisers, and the loops under them."""
