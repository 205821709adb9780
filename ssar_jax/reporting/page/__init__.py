"""The report: its content, and its pages as HTML, Markdown and CSV."""
