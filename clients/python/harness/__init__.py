"""What the tests share: processes, raw HTTP, signing, and the books that every refusal is held against."""
