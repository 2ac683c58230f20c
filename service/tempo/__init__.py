"""What Grafana's Tempo data source asks of a Tempo, answered from our log over HTTP."""
