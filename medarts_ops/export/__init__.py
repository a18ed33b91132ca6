"""An evaluated network out of the house: files that other programs run, and what they say of new images."""
