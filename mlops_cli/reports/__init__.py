"""HTML, Markdown and other accounts for people."""
