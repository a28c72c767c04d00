"""Values only: what Loci talks about. Frozen, reaching nothing outside, importing nothing else of ours."""
