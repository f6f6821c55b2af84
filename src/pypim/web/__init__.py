"""The server: requests in, answers out. Everything behind them is met as a port."""
