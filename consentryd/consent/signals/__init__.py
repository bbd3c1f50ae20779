"""What visitors' choices look like on the wire, one module a format; each turns untrusted input into one `Reading`."""
