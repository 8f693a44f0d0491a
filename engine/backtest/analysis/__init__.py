"""What can be found out about a backtest afterwards: chance, risk, bias, and how runs compare."""
