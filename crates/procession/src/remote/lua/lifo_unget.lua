local push = 'RPUSH' -- what was taken last goes in first
