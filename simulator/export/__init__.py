"""What a run holds, written out for other programs: CSV, DuckDB, TensorBoard, figures."""
