"""Fuzzers of the decoder; `fuzz_decoder` is guided by coverage, `mutate_native` by chance."""
