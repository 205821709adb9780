"""The report: its sections and tables, and how they become a page."""
