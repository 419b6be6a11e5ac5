-- A pool begins. A: the board, options. Returns what the workers say of themselves.
call('HSET', A[1] .. ':pools', K[1], me)
call('HSET', K[1], 'options', A[2])
stay(A[1])
return {call('HVALS', A[1] .. ':workers')}
