CREATE INDEX trace_block_first ON trace_block (run_no, first_hash);
