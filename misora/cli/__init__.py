"""The command line, one file per verb; it knows how to read a request and show a result, nothing of how a video is made."""
