"""Parent orders: one pure step machine an algorithm, and the supervisor that runs them through the order desk."""
