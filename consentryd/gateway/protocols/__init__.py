"""One adapter per wire format: bytes in, `RawEvent`s out."""
