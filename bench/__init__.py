"""A side-by-side benchmark for servers that speak the Letta V1 REST API. See README.md in this folder."""
