"""What it costs: each module measures one thing; ``README.md`` has the commands and the results."""
