-- What a worker must know of a pool. A: the pool, the name of a blob of its ('' for none).
return {call('HGET', A[1], 'options'), A[2] ~= '' and call('HGET', A[1] .. ':blobs', A[2])}, false
