"""Campaigns: long random trials of what single tests show once, started by hand."""
