package client

import "slices"

// fifo is a queue that reuses its memory. The zero value is empty.
type fifo[T any] struct {
	items []T
	head  int
}

func (q *fifo[T]) len() int { return len(q.items) - q.head }

func (q *fifo[T]) push(item T) { q.items = append(q.items, item) }

func (q *fifo[T]) pushFront(item T) {
	if q.head == 0 {
		q.items = slices.Insert(q.items, 0, item)
		return
	}
	q.head--
	q.items[q.head] = item
}

// peek is the first item; there has to be one.
func (q *fifo[T]) peek() T { return q.items[q.head] }

// at is the i-th item; there have to be more than i.
func (q *fifo[T]) at(i int) T { return q.items[q.head+i] }

// remove takes the i-th item out; there have to be more than i.
func (q *fifo[T]) remove(i int) T {
	item := q.at(i)
	q.items = slices.Delete(q.items, q.head+i, q.head+i+1)
	return item
}

func (q *fifo[T]) pop() T {
	var zero T
	item := q.items[q.head]
	q.items[q.head] = zero
	q.head++
	switch {
	case q.head == len(q.items):
		q.items, q.head = q.items[:0], 0
	case q.head > 1024 && q.head > len(q.items)/2:
		n := copy(q.items, q.items[q.head:])
		clear(q.items[n:])
		q.items, q.head = q.items[:n], 0
	}
	return item
}

// take empties the queue.
func (q *fifo[T]) take() []T {
	items := q.items[q.head:]
	*q = fifo[T]{}
	return items
}
