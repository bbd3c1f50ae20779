"""The person's side: access, export, erasure, retention, certificates, the privacy audit."""
