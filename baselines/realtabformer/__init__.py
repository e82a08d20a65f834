"""REaLTabFormer."""
