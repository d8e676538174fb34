"""An archive or a folder as a listing and a stream of (path, bytes); nothing is decoded here."""
