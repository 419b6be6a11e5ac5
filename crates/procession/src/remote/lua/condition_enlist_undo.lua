-- An entry whose maker was told an error. A: the reply.
call('ZREM', K[3], A[1])
call('HDEL', K[4], A[1])
return {}
