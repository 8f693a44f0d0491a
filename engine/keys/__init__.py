"""Keys of accounts at exchanges: where they are kept, how they are unlocked, and who gets them."""
