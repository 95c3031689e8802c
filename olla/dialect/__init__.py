"""How clients and backends speak: what a request asks, how it is adapted, and what a reply says."""
