"""Recordings of market data: sessions of Parquet files with a manifest each."""
