local push = 'LPUSH' -- what was taken first comes first
