"""Derivatives beyond `backward`: graphs of derivatives, forward mode, the transforms, checks by differences."""
