return {length(), call('HGET', META, 'version') or '0'}, false, false
