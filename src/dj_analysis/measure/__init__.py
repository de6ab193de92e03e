"""From files to numbers, each with n and an error, or a stated reason why not."""
