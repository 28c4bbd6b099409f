"""What a gradient means: explained, diagnosed, and watched as it is computed."""
