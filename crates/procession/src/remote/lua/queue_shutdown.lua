-- Shuts the queue down. A: '1': drops what is in it, which counts as done; LLEN or ZCARD. Returns how many.
whatever_memory()
local n = 0
if A[1] == '1' then
  n = call(A[2], K[2])
  call('HSET', K[1], 'closed', '2', 'bytes', 0)
  call('UNLINK', K[2])
  dropped(n)
else
  call('HSETNX', K[1], 'closed', '1')
end
ring(K[3], 1e9)
ring(K[4], 1e9)
return {n}
