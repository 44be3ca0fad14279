"""The servers that Cygnet is measured beside: their programs and their configurations."""
