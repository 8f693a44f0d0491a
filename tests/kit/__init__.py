"""Parts that tests share: small real engines, apps and terminals."""
