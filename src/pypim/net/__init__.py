"""The network: requests, retries, authentication. The only place that knows the HTTP client."""
