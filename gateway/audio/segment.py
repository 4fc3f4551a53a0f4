"""pydub's AudioSegment, with the ffmpeg that imageio-ffmpeg carries.

pydub warns at import when no ffmpeg is on PATH; none is needed there, so that warning would only worry people.
"""

from __future__ import annotations

import warnings

import imageio_ffmpeg

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from pydub import AudioSegment

AudioSegment.converter = imageio_ffmpeg.get_ffmpeg_exe()

__all__ = ["AudioSegment"]
