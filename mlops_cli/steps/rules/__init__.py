"""Rules on data: pandera's vocabulary, read strictly and executed as polars expressions."""
