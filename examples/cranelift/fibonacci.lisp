; Numbers, functions that call one another and themselves, texts, and functions of the C library.

(fn fibonacci (n)
  (if (< n 2)
      n
      (+ (fibonacci (- n 1)) (fibonacci (- n 2)))))

; Writes a number, one digit after the other: 48 is a zero.
(fn print (n)
  (if (< n 10)
      (putchar (+ 48 n))
      (do (print (/ n 10))
          (putchar (+ 48 (% n 10))))))

(fn list (from to)
  (if (< from to)
      (do (print (fibonacci from))
          (putchar 32)
          (list (+ from 1) to))
      (putchar 10)))

(fn main ()
  (puts "Fibonacci by Cranelift and minild:")
  (list 0 20)
  (+ (fibonacci 9) 8))
