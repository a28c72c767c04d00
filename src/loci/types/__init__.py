"""Values only: what Loci talks about. Frozen, without behaviour that reaches outside, importing nothing else of ours."""
